//! What the application does, as JSON.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use streams_core::membership::InstanceMetadata;
use streams_core::topology::TaskId;
use streams_core::{StreamsHandle, StreamsStatus, TaskStatus};

use crate::routes::Service;

/// `/status`.
pub(crate) async fn status(State(service): State<Service>) -> Json<Value> {
    let handle = &service.partitions.handle;
    let status = handle.status();
    let restoring: u64 = status.tasks.values().map(|task| task.restore_remaining).sum();
    let lag: i64 = status.tasks.values().filter_map(task_lag).sum();
    Json(json!({
        "application_id": handle.application_id(),
        "state": handle.state().to_string(),
        "process_id": handle.process_id().to_string(),
        "member_id": status.member_id,
        "generation": status.generation,
        "leader": status.leader,
        "lag": lag,
        "restore_remaining": restoring,
        "tasks": status.tasks.iter().map(|(id, task)| task_status(*id, task)).collect::<Vec<_>>(),
        "standbys": standbys(&status),
        "instances": status.instances.iter().map(|it| instance(it, handle)).collect::<Vec<_>>(),
        "stores": store_list(handle),
        "errors": status.errors.iter().map(|error| json!({
            "at": error.at.as_millis(),
            "task": error.task.map(|task| task.to_string()),
            "message": error.message,
        })).collect::<Vec<_>>(),
    }))
}

/// `/stores`.
pub(crate) async fn stores(State(service): State<Service>) -> Json<Value> {
    Json(json!({ "stores": store_list(&service.partitions.handle) }))
}

fn store_list(handle: &StreamsHandle) -> Vec<Value> {
    let owner =
        |it: &InstanceMetadata| it.application_server.clone().unwrap_or_else(|| it.process_id.to_string());
    let partitions = |name: &str, count: u32| -> Vec<Value> {
        let owners = (0..count).filter_map(|partition| handle.owners(name, partition).ok());
        let shown = owners.map(|it| {
            json!({
                "partition": it.partition,
                "owner": it.active.as_ref().map(owner),
                "standbys": it.standbys.iter().map(owner).collect::<Vec<_>>(),
            })
        });
        shown.collect()
    };
    let stores = handle.stores();
    let shown = stores.iter().map(|store| {
        json!({
            "name": store.name,
            "sub_topology": store.sub_topology,
            "global": store.global,
            "backend": store.backend,
            "partitions": partitions(&store.name, store.partitions.unwrap_or(0)),
        })
    });
    shown.collect()
}

fn task_status(id: TaskId, task: &TaskStatus) -> Value {
    let inputs = task.inputs.iter().map(|(partition, (position, lag))| {
        json!({ "topic": &*partition.topic, "partition": partition.partition, "position": position, "lag": lag })
    });
    json!({
        "id": id.to_string(),
        "worker": task.worker,
        "running": task.running,
        "processed": task.processed_records,
        "dropped": task.dropped_records,
        "lag": task_lag(task),
        "inputs": inputs.collect::<Vec<_>>(),
        "restore": {
            "restored": task.restored_records,
            "restored_bytes": task.restored_bytes,
            "remaining": task.restore_remaining,
            "eta_ms": task.restore_eta.map(|eta| u64::try_from(eta.as_millis()).unwrap_or(u64::MAX)),
        },
    })
}

fn task_lag(task: &TaskStatus) -> Option<i64> {
    task.inputs.values().map(|(_, lag)| *lag).sum()
}

fn standbys(status: &StreamsStatus) -> Vec<Value> {
    let shown = status
        .standbys
        .iter()
        .map(|(id, reached)| json!({ "id": id.to_string(), "changelog_offsets": reached }));
    shown.collect()
}

fn instance(instance: &InstanceMetadata, handle: &StreamsHandle) -> Value {
    let ids = |tasks: &[TaskId]| tasks.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "process_id": instance.process_id.to_string(),
        "application_server": instance.application_server,
        "this": instance.process_id == handle.process_id(),
        "active": ids(&instance.active),
        "standby": ids(&instance.standby),
    })
}
