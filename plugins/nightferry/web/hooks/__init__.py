"""The webhook endpoints: POST /nightferry/hooks/{github|azure|gitlab|mlflow}. A delivery wakes the watch, and no more.

`app` answers, `senders` knows what each sender signs and says, `secrets` finds the secrets, `wake` starts the look.
"""
