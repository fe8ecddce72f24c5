//! State moves before its task: warm-ups (KIP-441).

use super::group_view::GroupView;
use super::input::AssignorOptions;

/// Where tasks run now, and which members warm up for them.
pub(super) struct Placed {
    /// Member that runs each task.
    pub(super) active: Vec<usize>,
    /// Member that builds up the state of a task in order to run it later.
    pub(super) warm_up: Vec<Option<usize>>,
}

/// Leaves a task where its state is when its new owner would have to restore more than the acceptable lag; the new owner
/// warms up instead, a few at a time. A task whose state nobody has moves as it is, and so does one whose owner is about to leave.
pub(super) fn hold_back(view: &GroupView<'_>, targets: Vec<usize>, options: &AssignorOptions) -> Placed {
    let limit = options.acceptable_recovery_lag;
    let mut placed = Placed { warm_up: vec![None; targets.len()], active: targets };
    let mut waiting = Vec::new();
    for task in 0..placed.active.len() {
        let target = placed.active[task];
        if !view.tasks[task].stateful || view.lag(task, target) <= limit {
            continue;
        }
        let ready = view.holders(task).iter().filter(|(member, _)| view.lag(task, *member) <= limit);
        let ready =
            ready.max_by_key(|(member, sum)| (*sum, std::cmp::Reverse(*member))).map(|(member, _)| *member);
        let owner = view.owner[task].filter(|owner| view.capacity[*owner] > 0);
        if let Some(stays) = owner.or(ready) {
            placed.active[task] = stays;
            waiting.push((!view.keeps_standby(task, target), task, target));
        }
    }
    // Warm-ups under way go on before new ones begin.
    waiting.sort_unstable();
    for (_, task, target) in waiting.into_iter().take(options.max_warmup_replicas) {
        placed.warm_up[task] = Some(target);
    }
    placed
}
