"""What every long computation needs: processes, folders, checkpoints, progress bars."""
