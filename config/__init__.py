"""What the owner may set: option definitions, files, addresses. Errors say what, where and what to do."""
