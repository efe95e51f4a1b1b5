#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| concord::fuzz::run("map", data));
