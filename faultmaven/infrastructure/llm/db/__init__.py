"""What is kept in files that outlive the process."""
