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

    // A copy, so that a web build that runs meanwhile cannot pull the files away under the compiler.
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let kept = out.join("dist");
    let _ = fs::remove_dir_all(&kept);
    let mut files = Vec::new();
    collect(&dist, &kept, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in files.iter().filter(|file| !is_compressed(file)) {
        let name = file
            .strip_prefix(&kept)
            .expect("it was found there")
            .to_string_lossy()
            .replace('\\', "/");
        let variant = |ending: &str| {
            let packed = PathBuf::from(format!("{}.{ending}", file.display()));
            if files.contains(&packed) {
                format!("Some({})", include(&packed))
            } else {
                "None".to_owned()
            }
        };
        table.push_str(&format!(
            "Asset {{ path: {name:?}, plain: {}, brotli: {}, gzip: {} }},\n",
            include(file),
            variant("br"),
            variant("gz")
        ));
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table).expect("the build folder can be written to");
}

fn is_compressed(file: &Path) -> bool {
    file.extension()
        .is_some_and(|ending| ending == "br" || ending == "gz")
}

fn include(file: &Path) -> String {
    format!("include_bytes!({:?})", file.display().to_string())
}

/// Copies a folder to `kept` and lists the copies.
fn collect(folder: &Path, kept: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    fs::create_dir_all(kept).expect("the build folder can be written to");
    for entry in entries.flatten() {
        let (from, to) = (entry.path(), kept.join(entry.file_name()));
        if from.is_dir() {
            collect(&from, &to, files);
        } else if fs::copy(&from, &to).is_ok() {
            files.push(to);
        }
    }
}
