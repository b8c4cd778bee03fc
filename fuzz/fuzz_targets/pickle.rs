#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    onelayer_fuzz::targets::pickle(bytes);
});
