"""A user's own gRPC service: which method is called, with what, and how that is known before anything is measured."""
