//! The declared clusters, and objects of other kinds, that are used: the newest good version of every document. Simple rules:
//! a document that became invalid keeps its last good version and what that claims, and only a declaration that was read
//! completely can remove anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::intent::cluster::Cluster;
use crate::intent::documents::{
    ClaimsInForce, ClusterDocument as Read, Declaration, DeclaredObject, DeclaredObjects, DocumentKind, SourceFile, document_kinds,
    read_kinds,
};
use crate::intent::inactive_clusters::{InactiveCluster, InactiveClusters};
use crate::report::Finding;
use crate::types::ClusterName;

/// Everything that is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Every declared cluster, including those without a good version.
    pub clusters: BTreeMap<ClusterName, DeclaredCluster>,
    /// The last good version of every declared object of another kind. Only the versions of clusters are counted.
    pub objects: DeclaredObjects,
    /// Every declared object of another kind of which this operator has seen no good version, as its document was read last.
    /// What such an object restricts must not look unrestricted.
    pub objects_not_in_force: DeclaredObjects,
    /// What the versions in force claim, so that no other document can take it.
    pub claims: ClaimsInForce,
    /// Findings about the documents.
    pub findings: Vec<Finding>,
    /// Whether documents may exist that were never read: then nothing is treated as left over.
    pub incomplete: bool,
}

/// One declared cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredCluster {
    /// The number of versions seen, from 1.
    pub generation: u64,
    /// The version that is used, and its number. `None`: this operator has seen no good one, so it leaves everything
    /// unchanged.
    pub in_force: Option<(u64, Arc<Cluster>)>,
    /// Whether the newest version is the one that is used.
    pub accepted: bool,
    /// If no version is used: the label value of the services that the cluster is for, empty for services without the
    /// label; `None` if that cannot be read.
    pub label: Option<String>,
}

impl Declared {
    /// What is declared after a reading of these files.
    #[must_use]
    pub fn after(&self, files: &[SourceFile]) -> Self {
        self.after_kinds(document_kinds(), files)
    }

    /// The same, with documents of these kinds.
    #[must_use]
    pub(crate) fn after_kinds(&self, kinds: &[&'static DocumentKind], files: &[SourceFile]) -> Self {
        self.after_reading(read_kinds(kinds, files, &self.claims))
    }

    fn after_reading(&self, reading: Declaration) -> Self {
        let mut clusters = BTreeMap::new();
        for read in reading.all::<Read>() {
            let name = read.name().clone();
            let before = self.clusters.get(&name);
            clusters.insert(name, DeclaredCluster::after(before, read.clone()));
        }
        if reading.incomplete {
            for (name, before) in &self.clusters {
                clusters.entry(name.clone()).or_insert_with(|| DeclaredCluster { accepted: false, ..before.clone() });
            }
        }
        let (objects, objects_not_in_force) = self.objects_after(&reading);
        let claims = self.claims.after(&reading);
        Self { clusters, objects, objects_not_in_force, claims, findings: reading.findings, incomplete: reading.incomplete }
    }

    /// The objects of other kinds with a good version, and those without one.
    fn objects_after(&self, reading: &Declaration) -> (DeclaredObjects, DeclaredObjects) {
        let (mut good, mut not_in_force) = if reading.incomplete {
            (self.objects.clone(), self.objects_not_in_force.clone())
        } else {
            (DeclaredObjects::new(), DeclaredObjects::new())
        };
        for (key, object) in reading.objects.iter().filter(|(_, object)| object.of_type::<Read>().is_none()) {
            let last_good = if object.is_valid() { Some(object) } else { self.objects.get(key) };
            if let Some(last_good) = last_good {
                not_in_force.remove(key);
                good.insert(key.clone(), Arc::clone(last_good));
            } else {
                not_in_force.insert(key.clone(), Arc::clone(object));
            }
        }
        (good, not_in_force)
    }

    /// The last good versions of what documents of one kind declare, by name. Clusters are in their own list.
    pub fn all<T: DeclaredObject>(&self) -> impl Iterator<Item = &T> {
        self.objects.values().filter_map(|object| object.of_type())
    }

    /// The objects of one kind of which this operator has seen no good version, by name: they are declared, so they must not
    /// be treated as if they were not. While the declaration is incomplete, there may be others. Clusters are in their own list.
    pub fn all_not_in_force<T: DeclaredObject>(&self) -> impl Iterator<Item = (&ClusterName, &T)> {
        self.objects_not_in_force.iter().filter_map(|((_, name), object)| Some((name, object.of_type()?)))
    }

    /// The clusters of which this operator has seen no good version.
    pub fn inactive(&self) -> InactiveClusters {
        let without = self.clusters.iter().filter(|(_, declared)| declared.in_force.is_none());
        let named = without.map(|(name, declared)| InactiveCluster { name: name.clone(), label: declared.label.clone() }).collect();
        InactiveClusters { named, incomplete: self.incomplete }
    }

    /// The clusters with a good version.
    pub fn in_force(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.clusters.values().filter_map(|declared| declared.in_force.as_ref().map(|(_, cluster)| cluster))
    }
}

impl DeclaredCluster {
    fn after(before: Option<&Self>, read: Read) -> Self {
        let seen = before.map_or(0, |before| before.generation);
        let was_accepted = before.is_some_and(|before| before.accepted);
        let in_force = before.and_then(|before| before.in_force.clone());
        match (read, in_force) {
            (Read::Valid(cluster), Some((number, current))) if *current == *cluster && was_accepted => {
                Self { generation: seen, in_force: Some((number, current)), accepted: true, label: None }
            }
            (Read::Valid(cluster), _) => {
                Self { generation: seen + 1, in_force: Some((seen + 1, Arc::new(*cluster))), accepted: true, label: None }
            }
            (Read::Broken { label, .. }, in_force) => {
                let generation = if was_accepted || before.is_none() { seen + 1 } else { seen };
                Self { generation, in_force, accepted: false, label }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Declared, DeclaredCluster};
    use crate::intent::documents::{KINDS_WITH_ONE_MORE, Site, SourceFile, UnreadableFile, site};
    use crate::report::FindingCode;
    use crate::types::ClusterName;

    fn document(name: &str, engine: &str, replicas: u32) -> String {
        format!(
            "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {{name: {name}}}\nspec:\n  serviceCluster: {name}\n  engine: {engine}\n  \
             extension: {{image: i}}\n  proxy: {{image: i, replicas: {replicas}, publish: {{mode: host, http: {{published: 80{replicas}, target: 80}}}}}}\n"
        )
    }

    fn after(before: &Declared, texts: &[String]) -> Declared {
        let files: Vec<SourceFile> = texts.iter().enumerate().map(|(i, text)| SourceFile::new(format!("{i}.yaml"), text)).collect();
        before.after(&files)
    }

    fn cluster<'a>(declared: &'a Declared, name: &str) -> &'a DeclaredCluster {
        &declared.clusters[&ClusterName::parse(name).unwrap()]
    }

    #[test]
    fn a_document_that_became_invalid_keeps_its_last_good_version() {
        let good = after(&Declared::default(), &[document("a", "nginx", 1)]);
        assert_eq!(cluster(&good, "a").generation, 1, "{:?}", good.findings);
        let broken = after(&good, &[document("a", "apache", 1)]);
        let kept = cluster(&broken, "a");
        assert_eq!((kept.generation, kept.accepted), (2, false));
        assert_eq!(kept.in_force, cluster(&good, "a").in_force);
        assert!(!broken.findings.is_empty());
        let repaired = after(&broken, &[document("a", "nginx", 2)]);
        assert_eq!((cluster(&repaired, "a").generation, cluster(&repaired, "a").accepted), (3, true));
    }

    #[test]
    fn another_kind_follows_the_same_rules() {
        let after = |before: &Declared, files: &[SourceFile]| before.after_kinds(KINDS_WITH_ONE_MORE, files);
        let ports = |declared: &Declared| declared.all().map(|site: &Site| site.port).collect::<Vec<_>>();
        let files = |port| [SourceFile::new("0.yaml", document("a", "nginx", 1)), SourceFile::new("1.yaml", site("a", port))];
        let good = after(&Declared::default(), &files("{port: 81}"));
        assert_eq!((good.clusters.len(), ports(&good)), (1, vec![Some(81)]));
        let broken = after(&good, &files("{port: many}"));
        assert_eq!((broken.clusters.len(), ports(&broken)), (1, vec![Some(81)]));
        assert_eq!(ports(&after(&broken, &files("{port: 82}"))), [Some(82)]);
        assert_eq!(ports(&after(&good, &[SourceFile::unreadable("1.yaml", UnreadableFile::Missing("gone".to_owned()))])), [Some(81)]);
        assert_eq!(ports(&after(&good, &files("{port: 81}")[..1])), []);
        // A wrong kind, or none.
        let text = site("a", "{port: 82}");
        for text in [text.replace("Site", "Sitte"), text.replace("kind: Site\n", "")] {
            let kept = after(&good, &[SourceFile::new("0.yaml", document("a", "nginx", 1)), SourceFile::new("1.yaml", text)]);
            assert_eq!((ports(&kept), kept.incomplete), (vec![Some(81)], false));
            assert_eq!(kept.clusters, good.clusters, "the cluster of that name is not affected");
        }
    }

    #[test]
    fn a_broken_object_of_another_kind_is_declared_though_no_good_version_was_seen() {
        let after = |before: &Declared, text: &str| before.after_kinds(KINDS_WITH_ONE_MORE, &[SourceFile::new("0.yaml", text)]);
        let lists = |declared: &Declared| {
            let without = declared.all_not_in_force::<Site>().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
            (declared.all::<Site>().count(), without)
        };
        let (good, broken) = (site("a", "{port: 81}"), site("a", "{port: many}"));
        for text in [broken.clone(), good.replace("Site", "Sitte"), good.replace("kind: Site\n", "")] {
            let start = after(&Declared::default(), &text);
            assert_eq!(lists(&start), (0, vec!["a".to_owned()]), "{text}");
            assert_eq!(lists(&after(&start, "")), (0, vec!["a".to_owned()]), "an incomplete reading removes nothing");
            let repaired = after(&start, &good);
            assert_eq!(lists(&repaired), (1, vec![]));
            assert_eq!(lists(&after(&repaired, &broken)), (1, vec![]), "the last good version is in force");
            assert_eq!(lists(&after(&start, &site("b", "{port: 81}"))), (1, vec![]), "it is not declared any more");
        }
    }

    #[test]
    fn an_unchanged_document_is_not_a_new_version() {
        let first = after(&Declared::default(), &[document("a", "nginx", 1)]);
        assert_eq!(after(&first, &[document("a", "nginx", 1)]), first);
    }

    #[test]
    fn an_unreadable_file_removes_no_cluster() {
        let good = after(&Declared::default(), &[document("a", "nginx", 1), document("b", "nginx", 2)]);
        let files = [
            SourceFile::new("0.yaml", document("a", "nginx", 1)),
            SourceFile::unreadable("1.yaml", UnreadableFile::Missing("gone".to_owned())),
        ];
        let kept = good.after(&files);
        assert_eq!(cluster(&kept, "b").in_force, cluster(&good, "b").in_force);
        assert!(kept.incomplete && !cluster(&kept, "b").accepted);
    }

    #[test]
    fn a_cluster_is_removed_if_it_is_missing_from_a_complete_reading() {
        let good = after(&Declared::default(), &[document("a", "nginx", 1), document("b", "nginx", 2)]);
        let left = after(&good, &[document("a", "nginx", 1)]);
        assert_eq!(left.clusters.len(), 1);
    }

    /// A document for the services of another label value.
    fn with_label(name: &str, label: &str, replicas: u32) -> String {
        document(name, "nginx", replicas).replace(&format!("serviceCluster: {name}"), &format!("serviceCluster: {label}"))
    }

    /// The clusters with a version in force, each with its label value.
    fn in_force(declared: &Declared) -> Vec<String> {
        declared.in_force().map(|cluster| format!("{}={}", cluster.name, cluster.service_cluster.as_deref().unwrap_or_default())).collect()
    }

    /// The messages about claims.
    fn refusals(declared: &Declared) -> Vec<&str> {
        let duplicates = declared.findings.iter().filter(|finding| finding.code == FindingCode::DuplicateDeclaration);
        duplicates.map(|finding| finding.message.as_str()).collect()
    }

    const A_HAS_THE_LABEL: &str =
        "the version of ServiceCluster a that is in force also publishes services with the label value a, so this document is not used";

    #[test]
    fn a_newcomer_takes_nothing_from_a_version_in_force_whose_document_is_broken() {
        let a = document("a", "nginx", 1);
        let good = after(&Declared::default(), std::slice::from_ref(&a));
        let newcomer = with_label("b", "a", 2);
        let without_kind = |text: &str| text.replace("kind: ServiceCluster\n", "");
        for (broken, has_other_claims) in [
            (document("a", "apache", 1), false),
            // What the broken document claims now is something else, or unknown.
            (a.replace("ServiceCluster", "ServiceClutser"), true),
            (without_kind(&a), true),
            (with_label("a", "c", 1).replace("nginx", "apache"), true),
            (without_kind(&with_label("a", "c", 1)), true),
            (without_kind(&document("a", "apache", 1)), true),
        ] {
            let files = [broken.clone(), newcomer.clone()];
            let both = after(&good, &files);
            assert_eq!(in_force(&both), ["a=a"], "{broken}");
            assert_eq!(cluster(&both, "a").in_force, cluster(&good, "a").in_force, "{broken}");
            let refused = refusals(&both);
            assert!(!refused.is_empty() && refused.contains(&A_HAS_THE_LABEL) == has_other_claims, "{broken}: {refused:?}");
            assert!(both.findings.iter().all(|finding| !finding.remedy.contains("cannot be read")), "{broken}");
            assert_eq!(in_force(&after(&both, &files)), ["a=a"], "the next reading is no different");
            let repaired = after(&both, &[document("a", "nginx", 3), newcomer.clone()]);
            assert_eq!(in_force(&repaired), ["a=a"], "the newcomer is still refused");
            assert_ne!(cluster(&repaired, "a").in_force, cluster(&good, "a").in_force, "and does not prevent the repair");
            assert_eq!(in_force(&after(&both, &[with_label("a", "c", 1), newcomer.clone()])), ["a=c", "b=a"], "a valid document lets go");
            assert_eq!(in_force(&after(&both, &files[1..])), ["b=a"], "a removed document lets go");
        }
    }

    #[test]
    fn a_refused_document_leaves_its_own_version_in_force_which_keeps_its_claims() {
        let good = after(&Declared::default(), &[document("a", "nginx", 1), document("b", "nginx", 2)]);
        let moved = [
            document("a", "apache", 1).replace("serviceCluster: a", "serviceCluster: x"),
            with_label("b", "a", 2),
            with_label("c", "b", 3),
        ];
        let kept = after(&good, &moved);
        assert_eq!(in_force(&kept), ["a=a", "b=b"]);
        assert_eq!(refusals(&kept), [A_HAS_THE_LABEL.to_owned(), A_HAS_THE_LABEL.replace(" a ", " b ").replace("value a", "value b")]);
        assert!(kept.findings.iter().all(|finding| !finding.remedy.is_empty()));
    }

    #[test]
    fn a_version_that_only_an_unreadable_file_may_declare_says_so() {
        let good = after(&Declared::default(), &[document("a", "nginx", 1)]);
        let both = after(&good, &["apiVersion: [".to_owned(), with_label("b", "a", 2)]);
        assert_eq!(in_force(&both), ["a=a"]);
        let about: Vec<_> = both.findings.iter().filter(|finding| finding.code == FindingCode::DuplicateDeclaration).collect();
        let message = "the version of ServiceCluster a that is in force also publishes services with the label value a, and a document that \
                       cannot be read may still declare it, so this document is not used";
        let remedy = "Correct the documents that cannot be read first: while there are any, ServiceCluster a stays in use. ";
        assert_eq!(about.len(), 1);
        assert!(about[0].message == message && about[0].remedy.starts_with(remedy), "{}", about[0]);
    }

    /// Every cluster wants the label value of the one before it, and the first one's document is broken.
    #[test]
    fn refusals_along_a_chain_are_the_same_in_any_order() {
        let name = |number: usize| format!("c{number:03}");
        let length = 200;
        let start: Vec<_> = (0..length).map(|number| document(&name(number), "nginx", 1)).collect();
        let good = after(&Declared::default(), &start);
        let wanted = |number: usize| with_label(&name(number), &name(number - 1), 1);
        let first = with_label(&name(0), "x", 1).replace("nginx", "apache");
        let mut moved: Vec<_> = std::iter::once(first).chain((1..length).map(wanted)).collect();
        let about_labels = |declared: &Declared| {
            let messages = refusals(declared).into_iter().filter(|message| message.contains("label value"));
            messages.map(str::to_owned).collect::<Vec<_>>()
        };
        let kept = after(&good, &moved);
        assert_eq!(in_force(&kept), in_force(&good));
        assert_eq!(about_labels(&kept).len(), length - 1);
        moved.reverse();
        let reversed = after(&good, &moved);
        assert_eq!(reversed.clusters, kept.clusters);
        assert_eq!(about_labels(&reversed).into_iter().rev().collect::<Vec<_>>(), about_labels(&kept));
    }

    #[test]
    fn a_document_without_a_known_kind_keeps_out_no_valid_document() {
        let a = document("a", "nginx", 1);
        for stray in [with_label("old", "a", 1).replace("ServiceCluster", "ServiceClusterOld"), a.replace("kind: ServiceCluster\n", "")] {
            let files = [stray, with_label("c", "a", 1)];
            let start = after(&Declared::default(), &files);
            assert_eq!((in_force(&start), refusals(&start)), (vec!["c=a".to_owned()], vec![]), "{}", files[0]);
            assert_eq!(in_force(&after(&start, &files)), ["c=a"]);
        }
    }

    #[test]
    fn without_a_version_in_force_neither_of_two_documents_wins() {
        let start = after(&Declared::default(), &[document("a", "apache", 1), with_label("b", "a", 2)]);
        assert_eq!((in_force(&start), refusals(&start).len()), (vec![], 2));
    }

    #[test]
    fn a_version_in_force_of_another_kind_keeps_its_claims() {
        let after = |before: &Declared, texts: &[String]| {
            let files: Vec<_> = texts.iter().enumerate().map(|(i, text)| SourceFile::new(format!("{i}.yaml"), text)).collect();
            before.after_kinds(KINDS_WITH_ONE_MORE, &files)
        };
        let good = after(&Declared::default(), &[site("a", "{port: 81}")]);
        let broken = site("a", "{port: many}");
        let newcomers = [
            site("b", "{port: 81}"),
            document("c", "nginx", 2).replace("mode: host, http: {published: 802", "mode: ingress, http: {published: 81"),
        ];
        for newcomer in newcomers {
            let kept = after(&good, &[broken.clone(), newcomer]);
            assert_eq!((kept.all::<Site>().count(), in_force(&kept)), (1, vec![]));
            let message = "the version of Site a that is in force also publishes port 81 of the routing mesh, so this document is not used";
            assert_eq!(refusals(&kept), [message]);
        }
    }
}
