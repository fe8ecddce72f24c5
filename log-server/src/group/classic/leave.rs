//! LeaveGroup: members say goodbye, or an administrator sends static ones away.

use kafka_protocol::ResponseError;

use super::ClassicGroup;
use crate::group::effects::Effects;
use crate::moment::Moment;

/// One member of a LeaveGroup request.
#[derive(Debug, Clone)]
pub(crate) struct LeavingMember {
    /// Its id; empty when it is named by `instance_id` alone.
    pub(crate) member_id: String,
    /// The static member's name.
    pub(crate) instance_id: Option<String>,
}

impl ClassicGroup {
    /// Handles a leave; one outcome per named member, in order, then one rebalance for all of them.
    pub(crate) fn leave(
        &mut self,
        leaving: &[LeavingMember],
        now: Moment,
        out: &mut Effects,
    ) -> Vec<Result<(), ResponseError>> {
        let before = (self.members.len(), self.pending.len());
        let outcomes = leaving.iter().map(|member| self.leave_one(member, out)).collect();
        if (self.members.len(), self.pending.len()) != before {
            let members_left = self.members.len() != before.0;
            if members_left {
                self.on_members_left(now, out);
            } else {
                self.maybe_complete_join(now, out);
            }
        }
        outcomes
    }

    fn leave_one(&mut self, leaving: &LeavingMember, out: &mut Effects) -> Result<(), ResponseError> {
        let instance_id = leaving.instance_id.as_deref();
        if leaving.member_id.is_empty() {
            let holder = instance_id.and_then(|name| self.statics.get(name)).cloned();
            let id = holder.ok_or(ResponseError::UnknownMemberId)?;
            self.remove_member(&id, ResponseError::UnknownMemberId, out);
            return Ok(());
        }
        if self.pending.remove(&leaving.member_id).is_some() {
            return Ok(());
        }
        self.check_member(&leaving.member_id, instance_id)?;
        self.remove_member(&leaving.member_id, ResponseError::UnknownMemberId, out);
        Ok(())
    }
}
