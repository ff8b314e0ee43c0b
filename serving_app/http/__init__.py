"""The HTTP/1.1 server: one loop per worker process, which answers small requests itself and hands the rest to threads.

`head` reads request heads, `body` chunked bodies, `connection` is one client's state, `lifetime` says when that ends,
`transport` moves bytes, `dispatch` decides who computes what, `work` are the threads with their queue, `wsgi` calls the
Flask app, `access` logs a request, `loop` turns.
"""
