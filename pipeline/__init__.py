"""Which stages run, in what order: configuration, plan, engines, command line. The only room that knows Prefect."""
