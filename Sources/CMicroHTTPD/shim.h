#pragma once
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

// C variadic functions, macros and libmicrohttpd's enumerations do not reach Swift: this gives them names.

/// Starts a daemon of one internal polling thread, bound to `address`, with bounds on connections, memory and time.
/// `completed` is called when a request is over, whatever became of it.
static inline struct MHD_Daemon *microhttpd_start(
    MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, void *context,
    const struct sockaddr *address, unsigned int connections, size_t connection_memory, unsigned int timeout_seconds) {
  unsigned int flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME;
  if (address->sa_family == AF_INET6)
    flags |= MHD_USE_IPv6;
  return MHD_start_daemon(
      flags, 0, NULL, NULL, handler, context, MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_CONNECTION_LIMIT, connections,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory, MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds,
      MHD_OPTION_NOTIFY_COMPLETED, completed, context, MHD_OPTION_END);
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

/// A response without an end that anybody knows: `read` gives its bytes, `release` is called once when it is over.
static inline struct MHD_Response *microhttpd_stream(
    MHD_ContentReaderCallback read, void *context, MHD_ContentReaderFreeCallback release) {
  return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, read, context, release);
}

/// What a reader returns when nothing is to follow.
static inline ssize_t microhttpd_end_of_stream(void) { return MHD_CONTENT_READER_END_OF_STREAM; }

/// A request header's value; NULL where there is none.
static inline const char *microhttpd_header(struct MHD_Connection *connection, const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/// Calls `each` for every argument of the query.
static inline void microhttpd_arguments(struct MHD_Connection *connection, MHD_KeyValueIterator each, void *context) {
  MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, each, context);
}

/// Writes the client's numeric address; an empty text where it is not known.
static inline void microhttpd_client(struct MHD_Connection *connection, char *text, socklen_t room) {
  text[0] = 0;
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (!info || !info->client_addr)
    return;
  if (info->client_addr->sa_family == AF_INET)
    inet_ntop(AF_INET, &((const struct sockaddr_in *)info->client_addr)->sin_addr, text, room);
  else if (info->client_addr->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)info->client_addr)->sin6_addr, text, room);
}

/// `MHD_NO`, whose name does not reach Swift: the connection is closed without an answer.
static inline enum MHD_Result microhttpd_no(void) { return MHD_NO; }

/// `MHD_YES`: go on.
static inline enum MHD_Result microhttpd_yes(void) { return MHD_YES; }
