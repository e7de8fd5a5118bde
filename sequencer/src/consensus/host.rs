//! The actor that the engine speaks to. It forwards, and nothing else: every answer is given by [`super::app`], at once
//! or late, because a question carries its own way back.

use arc_malachitebft_app::engine::host::HostMsg;
use async_trait::async_trait;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;

use crate::agreement::Agreement;

/// Questions of the engine that may wait for the application: parts of proposals mostly. A full channel holds the
/// forwarder back, and with it only this mailbox.
const QUESTIONS_MAX: usize = 256;

pub(super) type Question = HostMsg<Agreement>;

/// The forwarder.
pub(super) struct Host {
    questions: mpsc::Sender<Question>,
}

impl Host {
    /// The forwarder, and where what it forwards comes out.
    pub(super) fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, received) = mpsc::channel(QUESTIONS_MAX);
        (Self { questions }, received)
    }
}

#[async_trait]
impl Actor for Host {
    type Msg = Question;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Question>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        question: Question,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(self.questions.send(question).await?)
    }
}
