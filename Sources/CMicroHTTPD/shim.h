#pragma once
#include <microhttpd.h>
#include <sys/socket.h>

// C variadic functions and libmicrohttpd's option names do not reach Swift: this starts a daemon of one internal polling
// thread, bound to `address`, with bounds on connections, memory and time.
static inline struct MHD_Daemon *microhttpd_start(
    MHD_AccessHandlerCallback handler, void *context, const struct sockaddr *address, unsigned int connections,
    size_t connection_memory, unsigned int timeout_seconds) {
  unsigned int flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD;
  if (address->sa_family == AF_INET6)
    flags |= MHD_USE_IPv6;
  return MHD_start_daemon(
      flags, 0, NULL, NULL, handler, context, MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_CONNECTION_LIMIT, connections,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory, MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds,
      MHD_OPTION_END);
}

/// The port that the daemon listens on; 0 where it is not known.
static inline unsigned int microhttpd_port(struct MHD_Daemon *daemon) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
  return info ? info->port : 0;
}

/// A response that owns a copy of `bytes`.
static inline struct MHD_Response *microhttpd_response(const void *bytes, size_t count) {
  return MHD_create_response_from_buffer(count, (void *)bytes, MHD_RESPMEM_MUST_COPY);
}

/// `MHD_NO`, whose name does not reach Swift: the connection is closed without an answer.
static inline enum MHD_Result microhttpd_no(void) { return MHD_NO; }

/// The value of an argument of the query; null where the request has none of that name. It lives as long as the request.
static inline const char *microhttpd_argument(struct MHD_Connection *connection, const char *name) {
  return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}
