"""One module for each topic: `measure` compares the clients, and `work` is what each of them does in its process."""
