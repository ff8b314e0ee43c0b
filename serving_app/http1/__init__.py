"""The HTTP/1.1 server: one loop per worker process, which answers small requests itself and hands the rest to threads.

`head` reads request heads, `body` chunked bodies, `connection` is one client's state, `loop` moves bytes and decides
who answers, `work` are the threads with their queue, `wsgi` calls the Flask app.
"""
