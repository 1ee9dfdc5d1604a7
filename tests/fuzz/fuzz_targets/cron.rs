#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rosey_tests::fuzz::cron(bytes));
