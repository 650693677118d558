//! Links, addresses and routes through rtnetlink, in this process's network namespace or in a pod's.
//!
//! A netlink socket belongs to the namespace its thread was in when it was opened and may be used
//! from anywhere afterwards, so only the opening happens on a thread of its own.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use futures::{StreamExt, TryStreamExt};
use rtnetlink::{
    Handle, LinkUnspec, RouteMessageBuilder, new_connection,
    packet_route::{
        address::{AddressAttribute, AddressMessage},
        link::LinkMessage,
        route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol},
    },
};
use tokio::{task::JoinSet, time::timeout};

use crate::{Ipv4Cidr, limits::NETLINK_DEADLINE};

/// Why the kernel did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel refused.
    #[error(transparent)]
    Refused(#[from] rtnetlink::Error),
    /// The kernel did not answer.
    #[error("no answer from the kernel within {NETLINK_DEADLINE:?}")]
    Timeout,
}

impl NetlinkError {
    /// The kernel's error number.
    fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused(rtnetlink::Error::NetlinkError(message)) => {
                message.code.map(|code| code.get().abs())
            }
            Self::Refused(_) | Self::Timeout => None,
        }
    }
}

/// A socket in one namespace, with the task that serves it.
#[derive(Debug)]
pub(crate) struct Netlink {
    handle: Handle,
    _connection: JoinSet<()>,
}

impl Netlink {
    /// A socket in the namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        let (connection, handle, _unsolicited) = new_connection()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        Ok(Self { handle, _connection: tasks })
    }

    async fn ask<T>(
        request: impl Future<Output = Result<T, rtnetlink::Error>>,
    ) -> Result<T, NetlinkError> {
        Ok(timeout(NETLINK_DEADLINE, request).await.map_err(|_elapsed| NetlinkError::Timeout)??)
    }

    /// The index of a link, `None` if there is none of this name.
    pub(crate) async fn index(&self, name: &str) -> Result<Option<u32>, NetlinkError> {
        let mut links = self.handle.link().get().match_name(name.to_owned()).execute().boxed();
        match Self::ask(links.try_next()).await {
            Ok(link) => Ok(link.map(|link| link.header.index)),
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a link; `false` if one of its name is already there.
    pub(crate) async fn add_link(&self, link: LinkMessage) -> Result<bool, NetlinkError> {
        match Self::ask(self.handle.link().add(link).execute()).await {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes a link that is there.
    pub(crate) async fn set_link(&self, link: LinkMessage) -> Result<(), NetlinkError> {
        Self::ask(self.handle.link().set(link).execute()).await
    }

    pub(crate) async fn set_up(&self, index: u32) -> Result<(), NetlinkError> {
        self.set_link(LinkUnspec::new_with_index(index).up().build()).await
    }

    /// Deletes a link; one that is gone is fine.
    pub(crate) async fn delete_link(&self, name: &str) -> Result<(), NetlinkError> {
        let Some(index) = self.index(name).await? else { return Ok(()) };
        match Self::ask(self.handle.link().del(index).execute()).await {
            Err(error) if error.errno() != Some(libc::ENODEV) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The IPv4 addresses of a link.
    pub(crate) async fn addresses(
        &self,
        index: u32,
    ) -> Result<Vec<(Ipv4Addr, AddressMessage)>, NetlinkError> {
        let request = self.handle.address().get().set_link_index_filter(index).execute();
        let present: Vec<AddressMessage> = Self::ask(request.try_collect()).await?;
        let local = |message: &AddressMessage| {
            message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(local)) => Some(*local),
                _ => None,
            })
        };
        Ok(present.into_iter().filter_map(|message| Some((local(&message)?, message))).collect())
    }

    /// Makes this the only IPv4 address of a link.
    pub(crate) async fn set_address(
        &self,
        index: u32,
        address: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), NetlinkError> {
        for (present, message) in self.addresses(index).await? {
            if present != address || message.header.prefix_len != prefix {
                Self::ask(self.handle.address().del(message).execute()).await?;
            }
        }
        let add = self.handle.address().add(index, address.into(), prefix).replace();
        Self::ask(add.execute()).await
    }

    pub(crate) async fn set_default_route(&self, via: Ipv4Addr) -> Result<(), NetlinkError> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(via).build();
        Self::ask(self.handle.route().add(route).replace().execute()).await
    }

    pub(crate) async fn set_route(
        &self,
        to: Ipv4Cidr,
        via: Ipv4Addr,
        protocol: RouteProtocol,
    ) -> Result<(), NetlinkError> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(to.network(), to.prefix())
            .gateway(via)
            .protocol(protocol)
            .build();
        Self::ask(self.handle.route().add(route).replace().execute()).await
    }

    /// The IPv4 routes somebody made under this protocol number, with where they lead.
    pub(crate) async fn routes(
        &self,
        protocol: RouteProtocol,
    ) -> Result<Vec<(Ipv4Cidr, RouteMessage)>, NetlinkError> {
        let any = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let all: Vec<RouteMessage> =
            Self::ask(self.handle.route().get(any).execute().try_collect()).await?;
        let ours = all.into_iter().filter(|route| route.header.protocol == protocol);
        Ok(ours.filter_map(|route| Some((destination(&route)?, route))).collect())
    }

    /// Deletes a route; one that is gone is fine.
    pub(crate) async fn delete_route(&self, route: RouteMessage) -> Result<(), NetlinkError> {
        match Self::ask(self.handle.route().del(route).execute()).await {
            Err(error) if error.errno() != Some(libc::ESRCH) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn destination(route: &RouteMessage) -> Option<Ipv4Cidr> {
    let network = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(network)) => Some(*network),
        _ => None,
    })?;
    Ipv4Cidr::new(network, route.header.destination_prefix_length).ok()
}
