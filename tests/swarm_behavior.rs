//! Compares a Swarm's behaviour with the simulator and, if `SWARMGATE_TEST_DOCKER=unix:///path` names a real manager, with that
//! manager: any error in the simulator would make its two thousand histories worthless. `SWARMGATE_TEST_IMAGE` names an image
//! that the manager's nodes have and that runs until it is stopped.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

#[path = "swarm_behavior/mod.rs"]
mod cases;
#[path = "support/skip.rs"]
mod skip;

use cases::test_swarm::TestSwarm;
use cases::{api_calls, network_addresses, rollout, scheduling};

/// Runs each case twice: simulated and real.
macro_rules! on_both {
    ($($room:ident :: $case:ident),+ $(,)?) => {
        mod simulated {
            use super::*;
            $(#[tokio::test] async fn $case() { $room::$case(&TestSwarm::simulated(stringify!($case))).await; })+
        }
        mod real {
            use super::*;
            $(#[tokio::test] async fn $case() {
                if let Some(bench) = TestSwarm::real(stringify!($case)).await {
                    $room::$case(&bench).await;
                    bench.clean().await;
                }
            })+
        }
    };
}

on_both! {
    api_calls::an_update_of_an_older_version_is_out_of_sequence,
    api_calls::objects_that_do_not_exist_are_not_found,
    api_calls::a_taken_name_is_refused,
    api_calls::what_is_in_use_stays,
    api_calls::data_has_its_limits,
    api_calls::a_name_has_its_limits,
    api_calls::a_config_that_a_label_names_is_seen_and_none_that_begins_so,
    api_calls::a_wrong_spec_is_refused,
    api_calls::a_published_port_is_one_services_alone,
    api_calls::a_spec_reads_back_in_swarms_form,
    api_calls::bounds_read_back_as_they_were_sent,
    api_calls::a_virtual_ip_comes_after_the_creation,
    api_calls::changes_are_hinted_at,
    rollout::a_write_of_the_same_spec_forgets_the_one_before,
    rollout::labels_and_update_settings_replace_no_task,
    rollout::more_replicas_replace_no_task,
    rollout::every_change_of_the_container_replaces_tasks,
    rollout::a_default_made_explicit_replaces_tasks,
    rollout::a_forced_update_and_a_network_replace_tasks,
    rollout::ports_replace_tasks,
    rollout::a_placement_that_still_holds_replaces_no_task,
    rollout::an_empty_placement_stays_and_replaces_no_task,
    rollout::placement_and_ports_together_are_not_applied,
    rollout::an_update_tells_its_state_only_when_tasks_are_replaced,
    rollout::an_update_that_fails_pauses,
    rollout::an_update_that_fails_rolls_back,
    scheduling::a_service_without_a_node_says_why,
    scheduling::a_host_port_is_bound_once_per_node,
    scheduling::host_ports_are_reported_by_running_tasks,
    scheduling::tasks_of_one_node_have_ports_of_their_own,
    scheduling::a_port_published_twice_on_its_node_is_bound_at_the_last,
    scheduling::a_global_service_runs_once_per_matching_node,
    scheduling::no_node_has_more_tasks_than_it_may_and_those_without_a_node_go_first,
    scheduling::tasks_of_a_removed_service_leave_the_list,
    scheduling::a_task_that_is_told_to_stop_is_on_its_way_out_until_it_ends,
    network_addresses::a_network_shows_what_its_addresses_are_taken_from,
    network_addresses::a_network_whose_subnet_is_anothers_has_no_addresses,
    network_addresses::a_full_network_keeps_tasks_new_without_a_word,
    scheduling::a_network_stays_while_a_task_is_wanted_on_it,
    scheduling::tasks_of_a_job_are_seen_while_they_run,
    scheduling::a_task_on_its_nodes_own_network_says_so,
    scheduling::a_network_whose_tasks_are_on_their_way_out_can_be_removed,
}
