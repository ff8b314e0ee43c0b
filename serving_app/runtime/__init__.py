"""What any part may use: the numbers, the log, the life of the service, the machine it runs on."""
