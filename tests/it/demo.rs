//! `make demo`, in both its forms, runs to its end: it is the first thing that a newcomer sees.

use std::path::Path;
use std::process::Command;

use crate::support::{Sandbox, skip};

/// What the demo says, in a folder of its own.
fn demo(s: &Sandbox, arguments: &[&Path]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binaries = Path::new(env!("CARGO_BIN_EXE_dsv")).parent().unwrap();
    let mut command = Command::new("sh");
    command.arg(root.join("scripts/demo.sh")).args(arguments).env("DSV_DEMO_BIN", binaries).env("DSV_DEMO_DIR", s.path("demo"));
    let done = command.env("HOME", s.path("")).env_remove("XDG_CONFIG_HOME").output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{told}");
    assert!(!told.contains("error:"), "{told}");
    assert!(told.contains("All is well"), "{told}");
    told
}

#[test]
fn on_drawn_scenes() {
    let scenes = Path::new(env!("CARGO_BIN_EXE_dsv")).with_file_name("examples").join("scenes");
    if !scenes.exists() {
        // `cargo test --test it` builds no examples.
        return skip("scenes", "the example that draws scenes is not built");
    }
    let s = Sandbox::empty();
    let told = demo(&s, &[]);
    for part in ["Created table scenes: 300 rows", "14 rows changed (14 cells)", "byte for byte", " KB; the repository has "] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("took -"), "{told}");
}

#[test]
fn on_a_folder_of_pictures() {
    let s = Sandbox::empty();
    crate::scenes::write(&s.path("mine"), 5, 12).unwrap();
    // A person's folder: other files, odd names, a folder within, and a picture that is broken.
    let pictures = s.path("mine/pictures");
    std::fs::create_dir(pictures.join("a trip")).unwrap();
    std::fs::rename(pictures.join("00003.jpg"), pictures.join("a trip/it's \"me\" (1).JPG")).unwrap();
    s.file("mine/pictures/notes.txt", "not a picture");
    s.file("mine/pictures/broken.jpg", "no picture either");
    let told = demo(&s, &[&pictures]);
    for part in ["Created table pictures: 12 rows, 2 columns", "broken.jpg", "Exported 12 rows", "it's \"me\" (1).JPG"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(std::fs::read(s.path("demo/pictures/a trip/it's \"me\" (1).JPG")).unwrap(), std::fs::read(pictures.join("a trip/it's \"me\" (1).JPG")).unwrap());
}
