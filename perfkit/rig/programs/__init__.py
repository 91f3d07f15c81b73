"""Programs that stand between processes while a trial runs. Started by their path, they import nothing of perfkit."""
