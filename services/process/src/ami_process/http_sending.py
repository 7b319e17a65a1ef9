"""How a process sends over HTTP beside its event loop: httpx's transport, which raises nothing but errors of httpx.

A peer that resets a connection as soon as it has taken it leaves a socket that is gone when httpx looks at it, and what comes out
(of anyio, over uvloop) is an AttributeError: whoever handles broken connections would not know it for one.
"""

import httpx


class SendingTransport(httpx.AsyncHTTPTransport):
    """The same with connections that were gone at once as broken ones. Whether something was sent is left open: httpx.ReadError."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except (AttributeError, OSError) as gone:
            if isinstance(gone, AttributeError) and "getpeername" not in str(gone):
                raise
            raise httpx.ReadError(f"the connection was gone at once: {gone}", request=request) from gone
