//! Turns R4's definitions (`r4/`) into the static tables of `resources::model`.

#[path = "build/bindings.rs"]
mod bindings;
#[path = "build/compartments.rs"]
mod compartments;
#[path = "build/definitions.rs"]
mod definitions;
#[allow(dead_code, missing_docs)]
#[path = "src/model/resource_type.rs"]
mod resource_type;
#[path = "build/search_parameters.rs"]
mod search_parameters;
#[path = "build/types.rs"]
mod types;

use std::{env, error::Error, fs, path::Path};

/// What stops a build: the definitions are not as this script expects them.
type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=r4");
    println!("cargo::rerun-if-changed=src/model/resource_type.rs");

    let resources = definitions::load("profiles-resources")?;
    let data_types = definitions::load("profiles-types")?;
    let bindings = bindings::Bindings::load()?;

    let out = env::var("OUT_DIR")?;
    let write = |name: &str, code: String| fs::write(Path::new(&out).join(name), code);
    write(
        "types.rs",
        types::generate(&data_types, &resources, bindings)?,
    )?;
    write(
        "search_parameters.rs",
        search_parameters::generate(&definitions::load("search-parameters")?)?,
    )?;
    write("compartments.rs", compartments::generate(&resources)?)?;
    Ok(())
}
