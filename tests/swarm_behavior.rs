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
    api_calls::a_duplicate_name_is_rejected,
    api_calls::objects_in_use_cannot_be_removed,
    api_calls::data_sizes_are_limited,
    api_calls::name_lengths_are_limited,
    api_calls::a_labelled_config_is_found_only_by_its_exact_name,
    api_calls::an_invalid_spec_is_rejected,
    api_calls::a_published_port_belongs_to_one_service,
    api_calls::a_spec_reads_back_normalised,
    api_calls::limits_read_back_unchanged,
    api_calls::a_virtual_ip_is_assigned_after_creation,
    api_calls::changes_produce_events,
    rollout::rewriting_the_same_spec_overwrites_the_previous_spec,
    rollout::labels_and_update_settings_replace_no_task,
    rollout::more_replicas_replace_no_task,
    rollout::every_change_of_the_container_replaces_tasks,
    rollout::a_default_made_explicit_replaces_tasks,
    rollout::a_forced_update_and_a_network_replace_tasks,
    rollout::ports_replace_tasks,
    rollout::a_placement_that_still_holds_replaces_no_task,
    rollout::an_empty_placement_stays_and_replaces_no_task,
    rollout::placement_and_ports_together_are_not_applied,
    rollout::an_update_reports_a_state_only_when_tasks_are_replaced,
    rollout::an_update_that_fails_pauses,
    rollout::an_update_that_fails_rolls_back,
    scheduling::a_service_without_a_node_reports_the_reason,
    scheduling::a_host_port_is_bound_once_per_node,
    scheduling::host_ports_are_reported_by_running_tasks,
    scheduling::tasks_on_one_node_have_separate_ports,
    scheduling::a_port_published_twice_on_its_node_is_bound_at_the_last,
    scheduling::a_global_service_runs_once_per_matching_node,
    scheduling::max_replicas_per_node_hold_and_pending_tasks_are_removed_first,
    scheduling::tasks_of_a_removed_service_leave_the_list,
    scheduling::a_task_with_a_stop_order_is_stopping_until_it_ends,
    network_addresses::a_network_shows_its_subnets,
    network_addresses::a_network_with_a_foreign_subnet_has_no_addresses,
    network_addresses::tasks_on_a_full_network_stay_new_without_a_reason,
    scheduling::a_network_stays_while_a_task_on_it_is_desired,
    scheduling::tasks_of_a_job_are_seen_while_they_run,
    scheduling::a_task_on_a_node_network_reports_it,
    scheduling::a_network_with_only_stopping_tasks_can_be_removed,
}
