"""The tasks that test the source, and build, test and publish the image."""
