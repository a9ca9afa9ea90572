echo "Hello from a container"
