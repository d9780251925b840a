//! Warns if the flags of `.cargo/config.toml` do not reach the build.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let is_glibc = variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    let is_static = variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    let is_fixed = variable("CARGO_ENCODED_RUSTFLAGS").contains("relocation-model=static");
    if is_glibc && !(is_static && is_fixed) {
        println!(
            "cargo::warning=not linked statically: jobcli will work, but take about twice as long to start and use about \
             0.5 MB more for each running job. Unset RUSTFLAGS and build in the checkout, whose .cargo/config.toml has \
             the flags, or set RUSTFLAGS=\"-Ctarget-feature=+crt-static -Crelocation-model=static\" and pass \
             `--target` with your triple."
        );
    }
}
