//! The declared clusters, and objects of other kinds, that are used: the newest good version of every document. Simple rules:
//! a document that became invalid keeps its last good version, and only a declaration that was read completely can remove
//! anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::intent::cluster::Cluster;
use crate::intent::documents::{ClusterDocument as Read, Declaration, DeclaredObject, DeclaredObjects};
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
    /// The declared clusters after a reading.
    #[must_use]
    pub fn after(&self, reading: Declaration) -> Self {
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
        Self { clusters, objects, objects_not_in_force, findings: reading.findings, incomplete: reading.incomplete }
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

    /// The clusters of which this operator has seen no good version, each with the label value of its services, if known.
    pub fn not_in_force(&self) -> impl Iterator<Item = (&ClusterName, Option<&str>)> {
        let without = self.clusters.iter().filter(|(_, declared)| declared.in_force.is_none());
        without.map(|(name, declared)| (name, declared.label.as_deref()))
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
    use crate::intent::documents::{KINDS_WITH_ONE_MORE, Site, SourceFile, read_documents, read_kinds, site};
    use crate::types::ClusterName;

    fn document(name: &str, engine: &str, replicas: u32) -> String {
        format!(
            "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {{name: {name}}}\nspec:\n  serviceCluster: {name}\n  engine: {engine}\n  \
             extension: {{image: i}}\n  proxy: {{image: i, replicas: {replicas}, publish: {{mode: host, http: {{published: 80{replicas}, target: 80}}}}}}\n"
        )
    }

    fn after(before: &Declared, texts: &[String]) -> Declared {
        let files: Vec<SourceFile> = texts.iter().enumerate().map(|(i, text)| SourceFile::new(format!("{i}.yaml"), text)).collect();
        before.after(read_documents(&files))
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
        let after = |before: &Declared, files: &[SourceFile]| before.after(read_kinds(KINDS_WITH_ONE_MORE, files));
        let ports = |declared: &Declared| declared.all().map(|site: &Site| site.port).collect::<Vec<_>>();
        let files = |port| [SourceFile::new("0.yaml", document("a", "nginx", 1)), SourceFile::new("1.yaml", site("a", port))];
        let good = after(&Declared::default(), &files("{port: 81}"));
        assert_eq!((good.clusters.len(), ports(&good)), (1, vec![Some(81)]));
        let broken = after(&good, &files("{port: many}"));
        assert_eq!((broken.clusters.len(), ports(&broken)), (1, vec![Some(81)]));
        assert_eq!(ports(&after(&broken, &files("{port: 82}"))), [Some(82)]);
        assert_eq!(ports(&after(&good, &[SourceFile::unreadable("1.yaml", "gone")])), [Some(81)]);
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
        let after = |before: &Declared, text: &str| before.after(read_kinds(KINDS_WITH_ONE_MORE, &[SourceFile::new("0.yaml", text)]));
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
        let files = [SourceFile::new("0.yaml", document("a", "nginx", 1)), SourceFile::unreadable("1.yaml", "gone")];
        let kept = good.after(read_documents(&files));
        assert_eq!(cluster(&kept, "b").in_force, cluster(&good, "b").in_force);
        assert!(kept.incomplete && !cluster(&kept, "b").accepted);
    }

    #[test]
    fn a_cluster_is_removed_if_it_is_missing_from_a_complete_reading() {
        let good = after(&Declared::default(), &[document("a", "nginx", 1), document("b", "nginx", 2)]);
        let left = after(&good, &[document("a", "nginx", 1)]);
        assert_eq!(left.clusters.len(), 1);
    }
}
