//! Any text as a file of documents: the reader never panics, says the same twice, and what it takes for valid stays valid
//! through a whole translation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use swarmgate::intent::documents::{SourceFile, read_documents};

fuzz_target!(|text: &str| {
    let files = [SourceFile::new("any.yaml", text)];
    let declaration = read_documents(&files);
    assert_eq!(declaration, read_documents(&files));
    for finding in &declaration.findings {
        assert!(!finding.message.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
    }
});
