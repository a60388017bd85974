//! Bakes the LibTorch folder into the binary's run path, so that running and testing need no LD_LIBRARY_PATH.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        // LibTorch's own libraries find each other next to themselves.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    }
}
