//! A container at an engine that cannot see this machine's folders: which folders have to be there, when they are sent
//! first, and who keeps them the same from then on. How that is done is not known here.

use std::collections::BTreeMap;
use std::path::PathBuf;

#[cfg(unix)]
pub(super) use remote::Away;

#[cfg(not(unix))]
pub(super) use nowhere::Away;

#[cfg(unix)]
mod remote {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::super::{Image, News, Order, labels, owner_of, start_failed};
    use super::{BTreeMap, PathBuf};
    use crate::agent::claude::sessions;
    use crate::failure::Failure;
    use crate::git;
    use crate::process::Process;
    use crate::sync::{Folder, Kind, Session, SyncError, Terms, Told};

    /// Folders that are kept the same with an engine's; none where that sees ours.
    #[derive(Debug, Clone, Default)]
    pub(in super::super) struct Away {
        session: Arc<Mutex<Option<Session>>>,
    }

    impl Away {
        /// As [`Self::go`], for as long as that takes. Tells which volumes stand for which folders.
        pub(in super::super) async fn stand_ins(
            &self,
            order: &Order,
            image: &Image,
            news: &(impl Fn(News) + Send + Sync),
        ) -> Result<BTreeMap<PathBuf, String>, Failure> {
            if image.engine.is_remote() && self.held().is_none() {
                // What the agent before has written last is brought back first, and all is sent anew.
                news(News::Hurry(false));
                self.go(order, image, news).await?;
                news(News::Hurry(true));
            }
            Ok(self.held().as_ref().map(|session| session.volumes().clone()).unwrap_or_default())
        }

        /// A container is about to be made, which may write to the volumes.
        pub(in super::super) async fn lend(&self) -> Result<(), Failure> {
            let Some(mut session) = self.held().take() else { return Ok(()) };
            let lent = session.lend().await.map_err(failed);
            *self.held() = Some(session);
            lent
        }

        /// Sends what the container is to see, where the engine is elsewhere and that has not been done.
        pub(in super::super) async fn go(
            &self,
            order: &Order,
            image: &Image,
            news: &(impl Fn(News) + Send + Sync),
        ) -> Result<(), Failure> {
            if !image.engine.is_remote() || self.held().is_some() {
                return Ok(());
            }
            news(News::Phase("Sending the workspace".to_owned()));
            let surroundings = &order.surroundings;
            surroundings.uses(&image.engine);
            let folders = folders(order).await?;
            let holder = owner_of(&order.workspace).await?;
            let name = format!("gemra-{}-sync", &uuid::Uuid::new_v4().simple().to_string()[..12]);
            let terms = Terms {
                labels: labels(order),
                name: name.clone(),
                image: image.name.clone(),
                user: (image.uid, image.gid),
                owner: (holder.uid, holder.gid),
            };
            let turn = surroundings.sync().turn(&order.tab.0).await;
            let alone = surroundings.volumes_of(order.workspace.path()).await;
            surroundings.reaper().expect_container(&name);
            let opened = Session::open(&image.engine, &terms, &folders, surroundings.sync(), turn).await;
            surroundings.reaper().settle_container(&name);
            drop(alone);
            let mut session = opened.map_err(failed)?;
            let tell = |told| match told {
                Told::Doing(words) => news(News::Phase(words)),
                Told::Same { words, .. } => news(News::Fact("Files", words)),
                Told::Failed(_) | Told::Last => {}
            };
            // Nothing comes back yet: the host's agent may still run, and would execute it before the guard has looked.
            if let Err(error) = session.send(&tell).await {
                session.close().await;
                return Err(failed(error));
            }
            *self.held() = Some(session);
            Ok(())
        }

        /// The same folders, for whoever keeps them the same from now on.
        pub(in super::super) fn take(&self) -> Self {
            Self { session: Arc::new(Mutex::new(self.held().take())) }
        }

        /// Sends what has changed since, before anybody there reads it.
        pub(in super::super) async fn catch_up(&self, tell: &(impl Fn(Told) + Send + Sync)) -> Result<(), Failure> {
            let Some(mut session) = self.held().take() else { return Ok(()) };
            let done = session.round(tell).await.map_err(failed);
            *self.held() = Some(session);
            done
        }

        /// Keeps the folders the same for as long as the agent works, and a little longer.
        pub(in super::super) fn follow(
            &self,
            process: Process,
            tell: impl Fn(Told) + Send + Sync + 'static,
        ) -> Process {
            match self.held().take() {
                Some(session) => session.follow(process, tell),
                None => process,
            }
        }

        /// Gives up. `written` where something of the container's may have written to the volumes, and not only waited.
        pub(in super::super) async fn close(&self, written: bool) {
            let session = self.held().take();
            if let Some(mut session) = session {
                if !written {
                    session.take_back().await;
                }
                session.close().await;
            }
        }

        fn held(&self) -> std::sync::MutexGuard<'_, Option<Session>> {
            self.session.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// The workspace, its conversations, and of a worktree its repository.
    async fn folders(order: &Order) -> Result<Vec<Folder>, Failure> {
        let (workspace, folder) =
            (order.workspace.path().to_path_buf(), order.surroundings.claude_folder(order.workspace.path()));
        let looked = tokio::task::spawn_blocking(move || {
            let bucket = sessions::bucket(&folder, &workspace);
            std::fs::create_dir_all(&bucket).map_err(|error| {
                failed(SyncError::Here { path: bucket.display().to_string(), cause: error.to_string() })
            })?;
            let common = git::common_folder(&workspace).filter(|common| !common.starts_with(&workspace));
            let all =
                [(Some(workspace), Kind::Project), (Some(bucket), Kind::Conversations), (common, Kind::Repository)];
            Ok(all.into_iter().filter_map(|(here, kind)| here.map(|here| Folder { here, kind })).collect())
        });
        looked.await.map_err(|error| start_failed(&error.to_string()))?
    }

    #[allow(clippy::needless_pass_by_value)] // It is what `map_err` hands over.
    fn failed(error: SyncError) -> Failure {
        Failure::from(&error)
    }
}

#[cfg(not(unix))]
mod nowhere {
    use super::super::{Image, News, Order};
    use super::{BTreeMap, PathBuf};
    use crate::container::engine::EngineError;
    use crate::failure::Failure;
    use crate::process::Process;
    use crate::sync::Told;

    /// Folders are not kept the same from here.
    #[derive(Debug, Clone, Default)]
    pub(in super::super) struct Away;

    #[allow(clippy::unused_async, clippy::unused_self)] // As on the systems that can.
    impl Away {
        pub(in super::super) async fn stand_ins(
            &self,
            order: &Order,
            image: &Image,
            news: &(impl Fn(News) + Send + Sync),
        ) -> Result<BTreeMap<PathBuf, String>, Failure> {
            self.go(order, image, news).await.map(|()| BTreeMap::new())
        }

        pub(in super::super) async fn lend(&self) -> Result<(), Failure> {
            Ok(())
        }

        pub(in super::super) async fn go(
            &self,
            _order: &Order,
            image: &Image,
            _news: &(impl Fn(News) + Send + Sync),
        ) -> Result<(), Failure> {
            if !image.engine.is_remote() {
                return Ok(());
            }
            // From Windows, folders are not sent anywhere yet.
            Err(Failure::from(&EngineError::Remote { address: image.engine.address().to_string() }))
        }

        pub(in super::super) fn take(&self) -> Self {
            Self
        }

        pub(in super::super) async fn catch_up(&self, _tell: &(impl Fn(Told) + Send + Sync)) -> Result<(), Failure> {
            Ok(())
        }

        pub(in super::super) fn follow(
            &self,
            process: Process,
            _tell: impl Fn(Told) + Send + Sync + 'static,
        ) -> Process {
            process
        }

        pub(in super::super) async fn close(&self, _written: bool) {}
    }
}
