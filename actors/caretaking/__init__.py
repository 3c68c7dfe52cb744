"""The caretaker: what runs leave behind, messages that wait for the work below them and things that are left open."""
