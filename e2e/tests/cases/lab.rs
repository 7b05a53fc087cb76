//! What the laboratory promises to all other cases. Nothing here depends on Swarmgate.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use swarmgate_e2e::testbed::{Case, HttpCall, Load, Testbed, http_get};
use swarmgate_e2e::wait::{eventually, throughout};

use super::BARE;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, BARE, check);
    vec![
        case("lab::nodes_are_ready", nodes_are_ready),
        case("lab::an_image_has_the_same_id_on_all_nodes", same_image_ids),
        case("lab::tasks_name_reaches_a_task_on_another_node", tasks_name_reaches_another_node),
        case("lab::an_unknown_name_fails_immediately", unknown_name_fails_at_once),
        case("lab::a_host_mode_port_is_reachable_from_outside", host_mode_port_is_reachable),
        case("lab::vips_and_mesh_ports_work_through_the_shim", vips_work),
        case("lab::the_demo_app_finishes_what_it_began", demo_app_drains),
        case("lab::stock_nginx_serves_its_page", stock_nginx_serves_its_page),
        case("lab::a_steady_load_on_an_unchanged_swarm_loses_nothing", steady_load_loses_nothing).with_traffic(),
        case("lab::traffic_continues_while_the_engine_hangs", traffic_survives_hanging_engine),
        case("lab::a_cut_node_is_down_and_heals", cut_node_heals),
        case("lab::a_node_without_power_is_down_and_its_tasks_move", power_off_moves_tasks),
    ]
}

fn nodes_are_ready(testbed: &Testbed) -> Result<()> {
    testbed.lab.await_ready()?;
    let names = testbed.docker(&["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"])?;
    let names: BTreeSet<_> = names.lines().map(str::trim).collect();
    ensure!(names == BTreeSet::from(["node1 Leader", "node2", "node3"]), "{names:?}");
    Ok(())
}

fn same_image_ids(testbed: &Testbed) -> Result<()> {
    let ids = |k| testbed.lab.docker(k, &["image", "inspect", "--format", "{{.Id}}", "demo-app:v1", "demo-app:v2", "stock-nginx:dev"]);
    let first = ids(1)?;
    ensure!(first.lines().count() == 3, "{first}");
    (2..=3).try_for_each(|k| {
        ensure!(ids(k)? == first, "node{k} has other images");
        Ok(())
    })
}

fn tasks_name_reaches_another_node(testbed: &Testbed) -> Result<()> {
    testbed.network("app")?;
    testbed.create("there", &["--network", "app", "--endpoint-mode", "dnsrr", "--constraint", "node.hostname==node3", "demo-app:v2"])?;
    testbed.create("here", &["--network", "app", "--constraint", "node.hostname==node2", "demo-app:v1"])?;
    testbed.await_running("there", 1)?;
    let here = testbed.await_running("here", 1)?.remove(0);
    for name in ["tasks.there", "there"] {
        eventually(Duration::from_secs(10), &format!("{name} answers"), || {
            let answer = testbed.get_from(&here, &format!("http://{name}:8080/hello"))?;
            ensure!(answer.contains(r#""version":"v2""#), "{answer}");
            Ok(())
        })?;
    }
    Ok(())
}

fn unknown_name_fails_at_once(testbed: &Testbed) -> Result<()> {
    testbed.network("app")?;
    testbed.create("here", &["--network", "app", "demo-app:v1"])?;
    let here = testbed.await_running("here", 1)?.remove(0);
    let started = Instant::now();
    for name in ["nobody", "tasks.nobody", "www.example.org"] {
        ensure!(testbed.get_from(&here, &format!("http://{name}/")).is_err(), "{name} resolves");
    }
    ensure!(started.elapsed() < Duration::from_secs(4), "three DNS queries took {:?}", started.elapsed());
    Ok(())
}

fn host_mode_port_is_reachable(testbed: &Testbed) -> Result<()> {
    testbed.create("web", &["--mode", "global", "--publish", "mode=host,published=8081,target=8080", "demo-app:v1"])?;
    testbed.await_running("web", 3)?;
    for k in 1..=3 {
        let answer = http_get(&format!("{}:8081", testbed.lab.node_ip(k)), "app.test", "/some/path?q=1")?;
        let about = answer.json()?;
        ensure!(about["host"] == "app.test" && about["path"] == "/some/path" && about["query"] == "q=1", "{about}");
        ensure!(about["peer"] == testbed.lab.gateway(), "the client's address is lost: {about}");
    }
    Ok(())
}

fn vips_work(testbed: &Testbed) -> Result<()> {
    testbed.network("app")?;
    testbed.create("back", &["--network", "app", "--replicas", "2", "--publish", "8088:8080", "demo-app:v2"])?;
    testbed.create("front", &["--network", "app", "--constraint", "node.hostname==node2", "demo-app:v1"])?;
    testbed.await_running("back", 2)?;
    let front = testbed.await_running("front", 1)?.remove(0);
    eventually(Duration::from_secs(10), "both tasks answer at the VIP", || {
        let answers: Result<BTreeSet<_>> = (0..4).map(|_| testbed.get_from(&front, "http://back:8080/")).collect();
        let answers = answers?;
        ensure!(answers.len() == 2, "{answers:?}");
        Ok(())
    })?;
    (1..=3).try_for_each(|k| {
        eventually(Duration::from_secs(10), &format!("node{k} answers at the mesh port"), || {
            let answer =
                HttpCall::get(&format!("{}:8088", testbed.lab.node_ip(k)), "app.test", "/").patience(Duration::from_secs(1)).send()?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
    })
}

fn demo_app_drains(testbed: &Testbed) -> Result<()> {
    let publish = "mode=host,published=8082,target=8080";
    testbed.create("slow", &["--publish", publish, "--constraint", "node.hostname==node2", "--stop-grace-period", "20s", "demo-app:v1"])?;
    testbed.await_running("slow", 1)?;
    let address = format!("{}:8082", testbed.lab.node_ip(2));
    let answer = thread::scope(|scope| {
        let call = HttpCall::get(&address, "app.test", "/slow?ms=6000").patience(Duration::from_secs(15));
        let slow = scope.spawn(move || call.send());
        // The request must have arrived before the task is told to stop; a second request on its own connection proves that.
        eventually(Duration::from_secs(5), "the application answers", || http_get(&address, "app.test", "/"))?;
        testbed.docker(&["service", "scale", "--detach", "slow=0"])?;
        slow.join().ok().context("the request panicked")?
    })?;
    ensure!(answer.status == 200 && answer.body.ends_with("and ends\n"), "{answer:?}");
    eventually(Duration::from_secs(15), "the task is gone", || {
        ensure!(http_get(&address, "app.test", "/").is_err(), "it still answers");
        Ok(())
    })
}

fn stock_nginx_serves_its_page(testbed: &Testbed) -> Result<()> {
    testbed.create("stock", &["--mode", "global", "--publish", "mode=host,published=8083,target=80", "stock-nginx:dev"])?;
    let task = testbed.await_running("stock", 3)?.remove(0);
    let answer = http_get(&format!("{}:8083", testbed.lab.node_ip(1)), "any.test", "/")?;
    ensure!(answer.status == 200 && answer.body.contains("Welcome to nginx!"), "{answer:?}");
    testbed.exec(&task, &["nginx", "-t"]).map(drop)
}

fn steady_load_loses_nothing(testbed: &Testbed) -> Result<()> {
    testbed.create("web", &["--publish", "mode=host,published=8084,target=8080", "--constraint", "node.hostname==node2", "demo-app:v1"])?;
    testbed.await_running("web", 1)?;
    let address = format!("{}:8084", testbed.lab.node_ip(2));
    let loads = [true, false].map(|keepalive| Load::start(&address, "app.test", "/", 100, keepalive));
    throughout(Duration::from_secs(3), "the application answers", || http_get(&address, "app.test", "/").map(drop))?;
    for load in loads {
        let report = load?.stop()?;
        ensure!(report.failed == 0 && report.requests > 200, "{report}");
    }
    Ok(())
}

fn traffic_survives_hanging_engine(testbed: &Testbed) -> Result<()> {
    testbed.create("web", &["--publish", "mode=host,published=8085,target=8080", "--constraint", "node.hostname==node1", "demo-app:v1"])?;
    testbed.await_running("web", 1)?;
    let address = format!("{}:8085", testbed.lab.node_ip(1));
    testbed.lab.pause_daemon(1)?;
    ensure!(testbed.lab.engine(1)?.ping(Duration::from_secs(1)).is_err(), "the paused engine answers");
    throughout(Duration::from_secs(2), "the application answers", || http_get(&address, "app.test", "/").map(drop))?;
    testbed.lab.resume_daemon(1)?;
    eventually(Duration::from_secs(10), "the engine answers", || testbed.lab.engine(1)?.ping(Duration::from_secs(1)))
}

fn cut_node_heals(testbed: &Testbed) -> Result<()> {
    testbed.lab.cut(3, None)?;
    await_node_state(testbed, "node3", "Down")?;
    testbed.lab.heal()?;
    await_node_state(testbed, "node3", "Ready")
}

fn power_off_moves_tasks(testbed: &Testbed) -> Result<()> {
    testbed.create("two", &["--replicas", "2", "--constraint", "node.role==worker", "demo-app:v1"])?;
    testbed.await_running("two", 2)?;
    testbed.lab.power_off(3)?;
    await_node_state(testbed, "node3", "Down")?;
    eventually(Duration::from_secs(60), "both tasks run on node2", || {
        let tasks = testbed.running_tasks("two")?;
        let nodes: Result<Vec<_>> = tasks.iter().map(|task| testbed.node_of(task)).collect();
        let nodes = nodes?;
        ensure!(nodes == [2, 2], "they run on {nodes:?}");
        Ok(())
    })?;
    testbed.lab.start(3)?;
    await_node_state(testbed, "node3", "Ready")
}

fn await_node_state(testbed: &Testbed, node: &str, state: &str) -> Result<()> {
    eventually(Duration::from_secs(60), &format!("{node} is {state}"), || {
        let now = testbed.docker(&["node", "ls", "--filter", &format!("name={node}"), "--format", "{{.Status}}"])?;
        ensure!(now.trim() == state, "it is {now}");
        Ok(())
    })
}
