"""S3: models. Amazon's, or any other storage that speaks its protocol.

The SDK's exceptions are turned into ours in `errors`.
"""
