"""The HTTP/1.1 server: one loop per worker process, which answers small requests itself and hands the rest to threads.

uvloop moves the bytes and llhttp (httptools) reads them. Ours: `reading` bounds what llhttp does not, `head` holds the
rules that it leaves to us, `connection` is one client's state, `room` what all of them may take together, `lifetime`
says when a connection ends, `dispatch` decides who computes what, `work` are the threads with their queue, `wsgi` calls
the Flask app, `answering` counts, logs and sends, `loop` accepts, ticks and ends.
"""
