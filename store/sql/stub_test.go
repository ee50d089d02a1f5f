package sql_test

var engines = []engine{sqlite}
