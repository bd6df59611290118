print("interface")
