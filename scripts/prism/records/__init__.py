"""Raw records of builds: archives, label tables and concrete specs become builds and nodes."""
