//! Feeds arbitrary text to the document reader. The reader never panics, gives the same result twice, and a document that it
//! accepts stays valid through a whole translation.

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
