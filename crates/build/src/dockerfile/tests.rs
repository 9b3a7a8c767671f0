use super::*;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text).unwrap()
}

fn refusal(text: &str) -> String {
    Dockerfile::parse(text).unwrap_err().to_string()
}
