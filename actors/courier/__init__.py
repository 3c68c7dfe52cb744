"""The courier: messages on their way to those who asked, and wakes for the sessions in which messages wait."""
