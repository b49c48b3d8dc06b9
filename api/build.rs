//! Embeds the built web app. Without `web/dist` an empty table is embedded and the server says how to build the app;
//! Node is never needed here.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let dist = root.join("../web/dist");
    // An empty folder, so that there is something to watch: cargo would run this for every build otherwise. A source
    // tree that cannot be written to is fine as well.
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());

    let mut files = Vec::new();
    collect(&dist, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in files.iter().filter(|file| !is_compressed(file)) {
        let name = file.strip_prefix(&dist).expect("it was found there").to_string_lossy().replace('\\', "/");
        let variant = |ending: &str| {
            let packed = PathBuf::from(format!("{}.{ending}", file.display()));
            if files.contains(&packed) { format!("Some({})", include(&packed)) } else { "None".to_owned() }
        };
        table.push_str(&format!(
            "Asset {{ path: {name:?}, plain: {}, brotli: {}, gzip: {} }},\n",
            include(file),
            variant("br"),
            variant("gz")
        ));
    }
    table.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("assets.rs");
    fs::write(out, table).expect("the build folder can be written to");
}

fn is_compressed(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "br" || ending == "gz")
}

fn include(file: &Path) -> String {
    let absolute = file.canonicalize().expect("it was just found");
    format!("include_bytes!({:?})", absolute.display().to_string())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
