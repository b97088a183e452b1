//! StructureDefinitions as validators, and the R4 definitions themselves.
