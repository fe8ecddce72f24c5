//! Looks now and then whether the source topics have changed: new ones of a pattern, more partitions.

use std::sync::Arc;
use std::time::Duration;

use super::planner::{PlanFault, TopicPlanner};
use super::status_board::StatusBoard;
use crate::membership::MembershipHandle;

/// Asks for a new round when the tasks that there should be are not those that there are. Only the group's leader
/// acts, so that a change makes one round.
#[derive(Debug)]
pub(super) struct TopicWatch {
    pub(super) planner: Arc<TopicPlanner>,
    pub(super) membership: MembershipHandle,
    pub(super) status: StatusBoard,
    /// `metadata.max.age.ms`.
    pub(super) interval: Duration,
}

impl TopicWatch {
    /// Looks until it is aborted.
    pub(super) async fn run(self) {
        let mut known = None;
        loop {
            match self.planner.look().await {
                Ok(plan) => {
                    let changed = known.as_ref().is_some_and(|known| *known != plan.tasks);
                    if changed && self.status.leads() {
                        self.note_change(&plan).await;
                    }
                    known = Some(plan.tasks);
                }
                Err(PlanFault::Topics(fault)) => self.status.note_topic_fault(Some(fault.to_string())),
                // Brokers that are away are others' concern.
                Err(PlanFault::Other(fault)) => tracing::debug!(%fault, "the topics could not be looked at"),
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    async fn note_change(&self, plan: &crate::topology::TopicPlan) {
        match self.planner.check_internal_topics(plan).await {
            Ok(()) => {
                self.status.note_topic_fault(None);
                self.membership.request_rejoin("the source topics have changed").await;
            }
            Err(fault) => {
                // The tasks go on; a round would only tell everyone what is wrong.
                tracing::error!(%fault, "the source topics have changed in a way that the application cannot follow");
                self.status.note_topic_fault(Some(fault.to_string()));
            }
        }
    }
}
