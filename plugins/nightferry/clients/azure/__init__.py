"""Azure Blob storage: models and the ledger.

The SDK's exceptions are turned into ours in `errors`.
"""
