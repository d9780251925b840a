#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("jobcore-fuzz-{}", std::process::id()));
    jobcore::fuzzing::index(bytes, &path);
});
