//! Messages received over real connections: answered, known again, in their order, in no case
//! lost.

mod acknowledgements;
mod duplicates;
mod fixture;
mod frames;
mod killed;
mod order;
mod pins;
mod wire;
