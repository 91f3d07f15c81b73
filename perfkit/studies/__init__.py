"""What is measured together: a study makes plans of its parameters, and one campaign runs the plans of any study."""
