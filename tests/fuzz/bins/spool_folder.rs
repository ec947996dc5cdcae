#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| spanledger::targets::spool_folder::run(input));
